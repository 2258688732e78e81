"""Scores of every image of a data set: a matrix on local disk that grows row by row and survives a kill."""
