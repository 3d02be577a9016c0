"""Files in and out: the only room that knows formats, axes in files and file names."""
