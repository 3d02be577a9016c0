"""Forms generated from settings: titles, help, units and bounds stand in the fields alone."""
