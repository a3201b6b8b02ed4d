"""Measuring a plan: workers in turns, the journal, the studies, the main job."""
