"""What keeps an assistant from doing or telling what it must not."""
