"""Experiments over runs.

======================  ======================================================
`replications.py`       one scenario, one or several independent replications
`until.py`              replications until a number is known well enough
`work.py`               where work runs: independent tasks, each saved as it finishes
`cluster.py`            the same tasks on a Dask cluster
`resumable.py`          a run of several replications as tasks: it goes on after a kill
`expect.py`             what scenario files expect, held to as many replications as it takes
`reproduce.py`          a run made again from its folder, compared table by table
`points.py`             parameter points on a grid or over ranges, and their runs
`sweep.py`              the same runs at many points
`uncertainty.py`        bands from parameters and from chance
`outputs.py`            numbers of a run by name: ``ban_rate@end``
`sensitivity.py`        which ranges matter: Morris and Sobol
`folders.py`            commands that were begun, and results folders of experiments over many points
`compare.py`            scenarios compared account by account; `flips.py`, `paired.py`, `curves.py` are its parts
`calibration/`          ranges fitted to published figures
`fitting/`              a scenario from recorded histories
`bench.py`              how fast this machine is
======================  ======================================================
"""
