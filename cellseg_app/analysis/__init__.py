"""From probability to cells: threshold, instances, measurements. Arrays in, arrays out."""
