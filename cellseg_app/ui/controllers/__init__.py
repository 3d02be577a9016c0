"""What happens when something is clicked: between session, lanes and panels."""
