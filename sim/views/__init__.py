"""Pictures and words: views read results and decide nothing.

===================  ==================================================================
`plots.py`           the figures, from tables to Axes
`result.py`          what a notebook holds: tables as attributes, figures as methods
`description.py`     a scenario in words: tables, and its ladder as a Mermaid diagram
===================  ==================================================================
"""
