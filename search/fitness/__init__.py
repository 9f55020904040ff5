"""Problems: how good a prompt is at a task, one kind of task a file; ``registry`` lists them."""
