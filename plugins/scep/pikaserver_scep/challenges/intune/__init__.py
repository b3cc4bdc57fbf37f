"""Microsoft Intune: its service says which device may have a certificate."""
