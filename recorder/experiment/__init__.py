"""An iterative optimisation experiment: config, loop, acceptance, convergence."""
