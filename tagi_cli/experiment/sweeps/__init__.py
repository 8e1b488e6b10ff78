"""Many runs: sweeps, the engines that run their jobs, searches, comparison."""
