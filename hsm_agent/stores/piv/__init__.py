"""Keys in the PIV application of a YubiKey, through pcscd."""
