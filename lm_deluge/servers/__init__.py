"""What our servers share: how they are entered and left, and errors in the words of each provider."""
