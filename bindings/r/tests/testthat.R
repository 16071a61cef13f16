library(testthat)
library(gcauth)

test_check("gcauth")
