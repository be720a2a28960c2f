"""What readers' browsers saw: beacons, checked as anything that strangers send is, become lines of a log."""
