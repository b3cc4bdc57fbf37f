"""Publishers: files, HTTP, S3 buckets, LDAP directories and MQTT brokers."""
