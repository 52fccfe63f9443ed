"""The app in the browser: a scenario, its sliders, and what they change.

==================  ===============================================================================================
`knobs`             what can be moved: a scenario's numbers with a span, a step and a way to write them
`what_if`           the scenario that moved knobs say, and its file
`sample`            the accounts that a picture is drawn from, and what is too large for one
`picture`           baseline and what-if run side by side, and what is to be read from them
`taking`            what can be taken along: tables and reports
`jobs`              long runs: one at a time, with progress, and stopped when nobody wants them any more
`page`              the page itself
`serving`           serving it to this machine, with the headers that a browser needs
==================  ===============================================================================================
"""
