//! The power button.

use std::sync::{Arc, Mutex};

use elone_hal::fake::bus;
use elone_hal::fake::gpio::Pl061;
use elone_hal::gpio::{Button, Pressed};

const LINE: u32 = 1 << 3;

fn button(gpio: Pl061, pressed: Pressed) -> (Arc<Mutex<Pl061>>, Button) {
    let gpio = Arc::new(Mutex::new(gpio));
    let button = Button::new(bus::place(&gpio, 0x1000), 3, pressed).expect("there is a line 3");
    (gpio, button)
}

/// At rest: neither up nor down has interrupted.
fn at_rest(level: u32) -> Pl061 {
    let mut gpio = Pl061::default();
    gpio.drive(level);
    gpio.latched = 0;
    gpio
}

#[test]
fn each_press_interrupts_once_and_letting_go_does_not() {
    for (pressed, up, down) in [(Pressed::High, 0, LINE), (Pressed::Low, LINE, 0)] {
        let (gpio, button) = button(at_rest(up), pressed);
        assert!(!button.listen());
        assert!(!button.was_pressed(), "nothing has happened");
        for _ in 0..2 {
            bus::lock(&gpio).drive(down);
            assert!(bus::lock(&gpio).interrupts());
            assert!(button.was_pressed());
            assert!(!bus::lock(&gpio).interrupts(), "the interrupt is taken back");
            bus::lock(&gpio).drive(up);
            assert!(!bus::lock(&gpio).interrupts());
            assert!(!button.was_pressed());
        }
    }
}

#[test]
fn a_press_that_is_over_when_it_is_looked_at_counts() {
    let (gpio, button) = button(at_rest(0), Pressed::High);
    assert!(!button.listen());
    bus::lock(&gpio).drive(LINE);
    bus::lock(&gpio).drive(0);
    assert!(button.was_pressed());
}

/// As a monitor does that holds the line until it has been seen.
#[test]
fn a_line_that_waits_to_be_looked_at_is() {
    let (gpio, button) = button(Pl061 { lets_go: true, ..at_rest(0) }, Pressed::High);
    assert!(!button.listen());
    for _ in 0..2 {
        bus::lock(&gpio).drive(LINE);
        assert!(button.was_pressed());
        assert!(!bus::lock(&gpio).interrupts(), "it has let go");
    }
}

#[test]
fn a_press_before_anybody_listened_is_not_lost() {
    let (gpio, held) = button(at_rest(0), Pressed::High);
    bus::lock(&gpio).drive(LINE);
    assert!(held.listen());

    let (gpio, over) = button(at_rest(0), Pressed::High);
    bus::lock(&gpio).drive(LINE);
    bus::lock(&gpio).drive(0);
    assert!(over.listen());
    assert!(!bus::lock(&gpio).interrupts(), "it is told once");
    assert!(!over.was_pressed());
}

#[test]
fn the_other_lines_are_left_as_they_are_and_do_not_interrupt() {
    let others = Pl061 { enabled: 0xff, rising: 0, others: [0xff; 4], ..at_rest(0) };
    let (gpio, button) = button(others, Pressed::High);
    assert!(!button.listen());
    {
        let mut gpio = bus::lock(&gpio);
        assert_eq!((gpio.enabled, gpio.rising, gpio.others), (LINE, LINE, [0xff & !LINE; 4]));
        gpio.drive(!LINE & 0xff);
        assert!(!gpio.interrupts());
    }
    // Firmware may have let one of them interrupt all the same: it is taken back, and no press.
    {
        let mut gpio = bus::lock(&gpio);
        (gpio.enabled, gpio.latched) = (0xff, 1);
    }
    assert!(!button.was_pressed());
    assert!(!bus::lock(&gpio).interrupts());
}

#[test]
fn a_line_that_no_controller_has_is_no_button() {
    let gpio = Arc::new(Mutex::new(Pl061::default()));
    let window = bus::place(&gpio, 0x1000);
    assert!(Button::new(window, 8, Pressed::High).is_none());
    assert!(Button::new(window, 255, Pressed::High).is_none());
}
