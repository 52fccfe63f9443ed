"""A scenario from recorded histories.

==================  ======================================================================
`fit`               the whole way: reads, splits, fits, writes the scenario, runs it, compares
`reading`           the CSV file
`exits`             chance and clock of every exit
`families`          families of durations by likelihood (lifelines)
`before`            states by visit and by the length of the stay before: where the data ask for it
`drift`             whether later accounts fare otherwise than earlier ones
`scenario_file`     states by visit, and the scenario file
==================  ======================================================================
"""
