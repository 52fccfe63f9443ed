"""Verification: the simulator against exact answers, never against itself.

``exact`` says how a difference is judged, ``chains``, ``renewal`` and ``queues`` hold the exact answers; none of them imports the simulator's law.
"""
