"""Configuration profiles for Apple devices (.mobileconfig)."""
