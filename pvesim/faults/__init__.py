"""What goes wrong in a simulated cluster because somebody wants it to: faults, incidents, and the timeline of both."""
