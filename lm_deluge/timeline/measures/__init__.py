"""What docs/design/metrics.md defines, over groups of streams; needs numpy."""
