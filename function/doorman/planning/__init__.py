"""What to do about shares, and how each image ends. Pure: nothing here awaits, and nothing reads a clock."""
