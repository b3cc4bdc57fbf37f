"""What tests use, ours and those of plugin authors."""
