"""What chaos/plot is made of."""
