"""Who computes it: one file per framework. A framework is imported when its backend is opened, never before."""
