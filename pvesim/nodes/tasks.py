"""`/nodes/{node}/tasks`: list, status, log and stop of tasks."""
