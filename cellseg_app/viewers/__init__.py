"""The viewer: slices in three linked panes, volume rendering, results side by side."""
