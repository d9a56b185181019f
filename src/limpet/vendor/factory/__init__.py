"""The factory: the station that gives devices their names, and the labels it prints."""
