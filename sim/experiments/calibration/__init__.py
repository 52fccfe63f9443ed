"""Ranges of a scenario fitted to published figures.

==================  ======================================================================
`calibrate`         the whole way: screens, searches, profiles, writes the scenario
`targets`           the published figures, and what of a run is held to them
`objective`         misfit of a point, and the search for the least
`profiles`          how well each parameter is known, and what the targets cannot tell
`tables`            what was found, as tables and sentences
==================  ======================================================================
"""
