"""What runs will cost, before anything starts: operations, hours, memory, disk."""
