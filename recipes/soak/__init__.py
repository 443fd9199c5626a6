"""Many generations with random settings: nothing may leak, differ or break."""
