from testbed.testing import conformance

test_laws = conformance("testbed-gaussian-process")
