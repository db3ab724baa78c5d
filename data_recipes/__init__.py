"""One file for each public dataset: its rows -> comparisons. The YAML with its path and its card is `conf/recipe/<name>.yaml`."""
