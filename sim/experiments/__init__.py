"""Experiments over runs.

======================  ======================================================
`replications.py`       one scenario, one or several independent replications
`bench.py`              how fast this machine is
======================  ======================================================
"""
