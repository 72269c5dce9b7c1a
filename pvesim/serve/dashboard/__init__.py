"""The live page: what a served world looks like now, and buttons to steer it. Loaded when somebody first looks."""
