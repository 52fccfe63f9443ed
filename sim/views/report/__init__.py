"""Reports: one page of HTML that holds all of a run, a comparison or a sweep, opens from disk, and asks no network for anything.

=======================  ===============================================================
`page`                   templates, scripts and the policy that lets no other script run
`ladder`                 the drawing of the ladder with its traffic
`ledger`                 what was done wrongfully, to whom, and what appeals made good
`run`                    the report of a run
`comparison`             the report of a comparison
`points`                 reports of sweeps, draws and sensitivities
`checklist`              the STRESS-DES checklist at the end of each
=======================  ===============================================================
"""
