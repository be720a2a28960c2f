"""The forms in which providers take schemas: each as strict as it can be said there. No I/O."""
