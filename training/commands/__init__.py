"""The verbs of ``python -m training``, one a file; heavy imports wait until a verb runs."""
