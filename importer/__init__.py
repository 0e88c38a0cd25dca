"""`rigel import`: brings the data of a FIWARE Orion over, once.

Reads a running Orion (`orion_api`) or a mongodump of its databases (`dump`), holds what it read
in a file (`spool`), and writes it into a new data directory (`data_directory`) or to a running
broker (`broker_api`). Stands above the broker and uses its records; nothing uses it.
"""
