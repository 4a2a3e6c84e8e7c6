"""What only features that move have."""
