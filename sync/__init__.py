"""Moving signed statements over time and through failure: following, pushing, relaying, the timetable."""
