"""Plan → worker process → journal: what is to be measured, who measures it, and where each row goes at once."""
