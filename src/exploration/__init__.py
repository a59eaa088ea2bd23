"""Page of a data set before training: labels, pictures, faults and split."""
