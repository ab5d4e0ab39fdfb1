"""What a file of labeled text holds, found by looking into it: format, columns, answers, each guess with its evidence."""
