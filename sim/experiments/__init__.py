"""Experiments over runs.

======================  ======================================================
`replications.py`       one scenario, one or several independent replications
`work.py`               where work runs: independent tasks, each saved as it finishes
`bench.py`              how fast this machine is
======================  ======================================================
"""
