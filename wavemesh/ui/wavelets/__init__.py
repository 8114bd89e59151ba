"""The tab Wavelets: the coefficients of a run, seen and edited."""
