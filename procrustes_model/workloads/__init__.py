"""Where problems come from: shapes, problems, networks and densities that ship, and layers of networks."""
