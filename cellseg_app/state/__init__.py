"""What the window shows and remembers: evented, Qt-free, changed on the GUI thread only."""
