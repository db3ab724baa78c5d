"""Ways to run the cells of a grid: one after another, side by side on one machine, on a cluster; one file each."""
